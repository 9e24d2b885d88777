// gitlab-ci-local uses methods of Set that Node has from 22 on.
const METHODS = {
  union: (a, b) => [...a, ...b],
  intersection: (a, b) => [...a].filter((one) => b.has(one)),
  difference: (a, b) => [...a].filter((one) => !b.has(one)),
};
for (const [name, of] of Object.entries(METHODS)) {
  Set.prototype[name] ??= function (other) {
    return new Set(of(this, other));
  };
}

// A bare loop over InferenceSession.run, in a process of its own: what every ratio is taken against.
//   node bare.mjs MODEL ROWS SECONDS THREADS [SHAPE]
process.env.ORT_DISABLE_TELEMETRY = '1';
const { InferenceSession, Tensor } = await import('onnxruntime-node');

const [model, rows, seconds, threads, shape] = process.argv.slice(2);
const session = await InferenceSession.create(model, {
  intraOpNumThreads: Number(threads),
  interOpNumThreads: 1,
  extra: { session: { intra_op: { allow_spinning: '0' } } },
});
const [{ name, shape: signature }] = session.inputMetadata;
const dims =
  shape === undefined
    ? signature.map((size, d) => (typeof size === 'number' ? size : d === 0 ? Number(rows) : 1))
    : JSON.parse(shape);
const data = Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, (_, i) => ((i * 7 + 3) % 11) / 11);
const feeds = () => ({ [name]: new Tensor('float32', data, dims) });
for (let i = 0; i < 20; i++) await session.run(feeds());

const times = [];
const start = performance.now();
while (performance.now() - start < Number(seconds) * 1_000) {
  const before = performance.now();
  await session.run(feeds());
  times.push(performance.now() - before);
}
const elapsed = (performance.now() - start) / 1_000;
times.sort((a, b) => a - b);
console.log(
  JSON.stringify({
    runs: times.length,
    rowsPerSecond: (times.length * Number(rows)) / elapsed,
    p50Ms: times[Math.floor(times.length / 2)],
  }),
);

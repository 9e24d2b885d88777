/** A CloudFormation template as JSON. */
export type Template = Readonly<Record<string, unknown>>;

// The hash of an asset is that of its content: `<hash>.zip` in a bucket, `<repository>:<hash>` of an image.
const ASSET_FILE = /(?<![0-9a-f])[0-9a-f]{64}(?=\.[A-Za-z0-9])/g;
const ASSET_IMAGE = /(container-assets-\S*?:)[0-9a-f]{64}(?![0-9a-f])/g;
const BOOTSTRAP_PARAMETER = 'BootstrapVersion';
const BOOTSTRAP_RULE = 'CheckBootstrapVersion';

/**
 * A template without what changes although nobody changed the infrastructure: hashes of assets become `<asset>`, and the
 * parameter and the rule by which CDK asks for its bootstrap version go. All else stays, the order of keys, user data and the
 * suffixes of logical ids included: a changed logical id replaces somebody's resource. The template given is not changed.
 */
export function scrubTemplate(template: object): Template {
  const scrubbed = scrub(template) as Record<string, unknown>;
  return dropEmpty(dropFrom(dropFrom(scrubbed, 'Parameters', BOOTSTRAP_PARAMETER), 'Rules', BOOTSTRAP_RULE));
}

/**
 * What a template has otherwise than the golden one, in lines to be read: resources that are gone, that are new, that have
 * another type, and the paths of properties that changed, with both values.
 * @returns undefined where both say the same, whatever the order of their keys
 */
export function goldenDifference(golden: object, template: object): string | undefined {
  const lines = differences(scrubTemplate(golden), scrubTemplate(template), []);
  return lines.length === 0 ? undefined : lines.join('\n');
}

function scrub(value: unknown): unknown {
  if (typeof value === 'string') return value.replace(ASSET_IMAGE, '$1<asset>').replace(ASSET_FILE, '<asset>');
  if (Array.isArray(value)) return value.map(scrub);
  if (!isRecord(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, scrub(each)]));
}

function dropFrom(template: Record<string, unknown>, section: string, name: string): Record<string, unknown> {
  const entries = template[section];
  if (!isRecord(entries) || !(name in entries)) return template;
  const { [name]: _dropped, ...rest } = entries;
  return { ...template, [section]: rest };
}

function dropEmpty(template: Record<string, unknown>): Template {
  return Object.fromEntries(
    Object.entries(template).filter(([, section]) => !isRecord(section) || Object.keys(section).length > 0),
  );
}

function differences(golden: unknown, given: unknown, path: readonly string[]): readonly string[] {
  if (Array.isArray(golden) && Array.isArray(given)) {
    const length = Math.max(golden.length, given.length);
    return Array.from({ length }).flatMap((_, i) => differences(golden[i], given[i], [...path, String(i)]));
  }
  if (isRecord(golden) && isRecord(given)) {
    if (isOtherResource(golden, given, path))
      return [`${path[1]}: was ${String(golden['Type'])}, is ${String(given['Type'])}`];
    const keys = new Set([...Object.keys(golden), ...Object.keys(given)]);
    return [...keys].flatMap((key) => differences(ownValue(golden, key), ownValue(given, key), [...path, key]));
  }
  if (Object.is(golden, given)) return [];
  const where = path.join('.');
  if (golden === undefined) return [`${where}: is new${typeOf(given, path)}${valueOf(given, path)}`];
  if (given === undefined) return [`${where}: is gone${typeOf(golden, path)}${valueOf(golden, path)}`];
  return [`${where}: was ${shown(golden)}, is ${shown(given)}`];
}

function isOtherResource(
  golden: Record<string, unknown>,
  given: Record<string, unknown>,
  path: readonly string[],
): boolean {
  return path.length === 2 && path[0] === 'Resources' && golden['Type'] !== given['Type'];
}

function typeOf(value: unknown, path: readonly string[]): string {
  return path.length === 2 && path[0] === 'Resources' && isRecord(value) ? `, ${String(value['Type'])}` : '';
}

function valueOf(value: unknown, path: readonly string[]): string {
  return path.length === 2 && path[0] === 'Resources' ? '' : `, ${shown(value)}`;
}

function shown(value: unknown): string {
  return JSON.stringify(value);
}

function ownValue(record: Record<string, unknown>, key: string): unknown {
  return Object.hasOwn(record, key) ? record[key] : undefined;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

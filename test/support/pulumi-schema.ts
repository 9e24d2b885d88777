import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';

const load = createRequire(__filename);
const { getPulumiComponents } = load('@pulumi/pulumi/provider/experimental');
const { Analyzer } = load('@pulumi/pulumi/provider/experimental/analyzer.js');
const { generateSchema } = load('@pulumi/pulumi/provider/experimental/schema.js');

const root = path.resolve(__dirname, '../..');
const PACKAGE = 'slipway';
const DESCRIPTION =
  'Private, autoscaled inference endpoints for ONNX models, on five clouds and any Kubernetes cluster.';

export interface PulumiSchema {
  resources: Record<string, any>;
  types: Record<string, any>;
  dependencies?: unknown;
  [field: string]: any;
}

/** Every component of a module: what its index exports. */
export async function componentsOf(module: string): Promise<string[]> {
  const exported = await import(path.join(root, folderOf(module), 'index.ts'));
  return getPulumiComponents(exported)
    .map(({ name }: { name: string }) => name)
    .sort();
}

/**
 * One schema of all modules, made by Pulumi's own analyzer from the sources of the components. The analyzer knows the
 * module `index` alone, so each module is analyzed by itself and gets its name afterwards.
 * @throws Error as the analyzer has it, naming the property of an argument that no other language could express.
 */
export async function makePulumiSchema(modules: readonly string[]): Promise<PulumiSchema> {
  const merged: PulumiSchema = { name: PACKAGE, description: DESCRIPTION, resources: {}, types: {} };
  for (const module of modules) {
    const schema = analyze(module, await componentsOf(module));
    const {
      resources,
      types,
      name: _name,
      version: _version,
      description: _description,
      dependencies,
      ...rest
    } = schema;
    // A type that the service has, too, is the service's: a placement fits whichever cloud made it.
    const own = Object.keys(types).filter((type) => !(type in merged.types));
    const rename = (text: string): string =>
      module === 'index' ? text : renameTypes(text, [...own, ...Object.keys(resources)], module);
    Object.assign(merged, JSON.parse(rename(JSON.stringify(rest))));
    Object.assign(merged.resources, JSON.parse(rename(JSON.stringify(resources))));
    Object.assign(
      merged.types,
      JSON.parse(rename(JSON.stringify(Object.fromEntries(own.map((type) => [type, types[type]]))))),
    );
  }
  return merged;
}

function analyze(module: string, components: readonly string[]): PulumiSchema {
  const main = path.join(root, folderOf(module), 'index.ts');
  const directory = mkdtempSync(path.join(tmpdir(), 'slipway-schema-'));
  try {
    writeFileSync(
      path.join(directory, 'tsconfig.json'),
      JSON.stringify({
        extends: path.join(root, 'tsconfig.json'),
        compilerOptions: { rootDir: '/', typeRoots: [path.join(root, 'node_modules/@types')] },
        files: [main],
        include: [],
        exclude: [],
      }),
    );
    const found = new Analyzer(directory, PACKAGE, { main }, new Set(components)).analyze();
    return generateSchema(PACKAGE, '', DESCRIPTION, found.components, found.typeDefinitions, found.dependencies);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function renameTypes(text: string, tokens: readonly string[], module: string): string {
  return tokens.reduce((renamed, token) => {
    const name = token.split(':').at(-1)!;
    return renamed.replaceAll(`${PACKAGE}:index:${name}"`, `${PACKAGE}:${module}:${name}"`);
  }, text);
}

function folderOf(module: string): string {
  return module === 'index' ? 'pulumi' : `pulumi/${module}`;
}

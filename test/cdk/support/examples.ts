import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { App, AppProps } from 'aws-cdk-lib';

const EXAMPLES = join(__dirname, '../../../cdk/examples');

/** What `app.ts` of every example exports. */
export interface Example {
  createApp(props?: AppProps): App;
}

/** Names of all examples: the folders of `cdk/examples` that hold an `app.ts`. A new one is found by itself. */
export function exampleNames(): readonly string[] {
  return readdirSync(EXAMPLES)
    .filter((name) => existsSync(join(EXAMPLES, name, 'app.ts')))
    .sort();
}

export async function loadExample(name: string): Promise<Example> {
  return (await import(join(EXAMPLES, name, 'app.ts'))) as Example;
}

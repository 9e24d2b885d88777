import { existsSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { CliError } from '../cli-error';

/** What is verified: a spec file, the folder of a Pulumi program, or that of a CDK app. */
export type Target =
  | { readonly kind: 'spec'; readonly file: string }
  | { readonly kind: 'pulumi'; readonly folder: string }
  | { readonly kind: 'cdk'; readonly folder: string; readonly app: string };

/**
 * Says what a path is. A folder with both is a Pulumi program; `app` makes it a CDK app.
 * @param app command that synthesizes the app, where `cdk.json` does not say it
 * @throws CliError for anything else
 */
export function targetAt(given: string, app: string | undefined): Target {
  const found = path.resolve(given === '' ? '.' : given);
  if (!existsSync(found)) throw new CliError(`${found}: does not exist`);
  if (!statSync(found).isDirectory()) return { kind: 'spec', file: found };
  const has = (name: string): boolean => existsSync(path.join(found, name));
  if (app !== undefined) return { kind: 'cdk', folder: found, app };
  if (has('Pulumi.yaml') || has('Pulumi.yml')) return { kind: 'pulumi', folder: found };
  if (has('cdk.json')) return { kind: 'cdk', folder: found, app: appIn(path.join(found, 'cdk.json')) };
  throw new CliError(`${found}: has neither Pulumi.yaml nor cdk.json; give the folder of a program, or a spec file`);
}

function appIn(file: string): string {
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new CliError(`${file}: is no JSON: ${(error as Error).message}`);
  }
  const { app } = (content ?? {}) as { app?: unknown };
  if (typeof app === 'string' && app !== '') return app;
  throw new CliError(`${file}: has no app; say with --app what synthesizes it`);
}

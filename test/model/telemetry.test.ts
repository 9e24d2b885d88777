import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const PUBLISH = `
  const { publishModel } = require('./runtime/model/publish-model.ts');
  publishModel({ source: 'models/digits/model.onnx', name: 'digits', repository: process.argv[1] });
`;

test('publishing a model leaves no telemetry of ONNX Runtime in the home directory', () => {
  const home = mkdtempSync(join(tmpdir(), 'slipway-home-'));
  const repository = mkdtempSync(join(tmpdir(), 'slipway-repository-'));
  // Nothing else of this process's environment: a variable set here would hide one that is not set there.
  const env = { PATH: process.env['PATH'], HOME: home };
  try {
    execFileSync(process.execPath, ['--import', 'tsx', '-e', PUBLISH, repository], { env });
    expect(readdirSync(join(repository, 'digits'))).toEqual(['1']);
    expect(readdirSync(home, { recursive: true }).map(String)).toEqual([]);
  } finally {
    rmSync(home, { recursive: true });
    rmSync(repository, { recursive: true });
  }
});

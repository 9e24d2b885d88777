import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { COMMANDS } from '../../runtime/cli/commands';
import { readPipeline } from '../../runtime/cli/pipeline/read-pipeline';
import { stepCommands } from '../../runtime/cli/pipeline/step-command';
import { temporaryFolder } from '../server/harness/model-repository';

/** The words of the last step, or why there are none. */
async function publishOf(steps: string): Promise<string> {
  const file = path.join(temporaryFolder(), 'pipeline.yaml');
  writeFileSync(file, `model: digits\nsource: model.onnx\nrepository: models\nsteps:\n${steps}`);
  try {
    return stepCommands(await readPipeline(file, COMMANDS), '/work')
      .at(-1)!
      .argv.join(' ');
  } catch (error) {
    return (error as Error).message;
  }
}

const evaluate = (preprocessing: string): string =>
  `  - cluster\n  - evaluate: { data: pictures, task: classification${preprocessing} }\n`;
const search = '  - search: { data: pictures, max-accuracy-drop: 1%, preprocessing: a.yaml }\n';

test('a pipeline that evaluates with another preprocessing than it publishes is refused before anything runs', async () => {
  expect(await publishOf(`${evaluate(', preprocessing: a.yaml')}  - publish: { preprocessing: b.yaml }\n`)).toMatch(
    /pipeline\.yaml:7: publish has preprocessing b\.yaml, and its model is evaluated with preprocessing a\.yaml/,
  );
  expect(await publishOf(`${evaluate('')}  - publish: { preprocessing: a.yaml }\n`)).toContain(
    'publish has preprocessing a.yaml, and its model is evaluated with no preprocessing',
  );
  expect(await publishOf(`${evaluate(', preprocessing: a.yaml')}  - publish\n`)).toContain(
    'publish has no preprocessing',
  );
  expect(await publishOf(`${search}  - publish\n`)).toContain('evaluated with preprocessing a.yaml');
});

test('one that says it twice, or evaluates a source that may say it itself, is run', async () => {
  const both = await publishOf(`${evaluate(', preprocessing: a.yaml')}  - publish: { preprocessing: a.yaml }\n`);
  expect(both).toContain('--preprocessing=a.yaml');
  expect(both).toContain('--evaluation=/work/evaluate/report.json');
  expect(await publishOf(`${search}  - publish: { preprocessing: a.yaml }\n`)).toContain('--evaluation=/work/search/');
  const own = '  - evaluate: { data: pictures, task: classification }\n  - publish: { preprocessing: a.yaml }\n';
  expect(await publishOf(own)).toContain('--evaluation=');
  const given = `${evaluate('')}  - publish: { preprocessing: a.yaml, evaluation: other.json }\n`;
  expect(await publishOf(given)).toContain('--evaluation=other.json');
});

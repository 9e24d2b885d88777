import path from 'node:path';
import { UsageError } from './cli-error';
import type { Command } from './command';

const LANGUAGES = { typescript: '.ts', python: '.py' } as const;
type Language = keyof typeof LANGUAGES;

/** `slipway model codegen`: a typed client of one model, in one file without dependencies. */
export const modelCodegen: Command = {
  arguments: [{ name: 'file', description: 'an ONNX file, or a manifest.json, which knows labels, too' }],
  options: {
    output: {
      type: 'string',
      short: 'o',
      value: 'file',
      required: true,
      description: 'where to write the client: client.ts or client.py',
    },
    language: { type: 'string', value: 'language', description: "typescript or python (by the file's ending)" },
    name: {
      type: 'string',
      value: 'name',
      description: "what servers call the model (the manifest's name, or the file's place)",
    },
    overwrite: { type: 'boolean', description: 'replace what is there' },
    json: { type: 'boolean', description: 'print the file, its language and what it is a client of as JSON' },
  },
  run: async (given, terminal) => {
    const out = given.text('output')!;
    const language = languageOf(given.text('language'), out);
    const { readClientModel } = await import('../model/codegen/describe-client.js');
    const { writeOutput } = await import('../model/write-output.js');
    const model = readClientModel(given.argument('file'), given.text('name'));
    const text =
      language === 'typescript'
        ? (await import('../model/codegen/typescript-client.js')).renderTypescriptClient(model)
        : (await import('../model/codegen/python-client.js')).renderPythonClient(model);
    const { writeFile } = await import('node:fs/promises');
    await writeOutput(out, { overwrite: given.flag('overwrite') }, (folder) =>
      writeFile(path.join(folder, path.basename(out)), text),
    );
    terminal.out(given.flag('json') ? JSON.stringify({ file: out, language, model }, undefined, 2) : out);
  },
};

function languageOf(text: string | undefined, out: string): Language {
  const languages = Object.keys(LANGUAGES) as Language[];
  const language = languages.find((each) => (text === undefined ? out.endsWith(LANGUAGES[each]) : each === text));
  if (language !== undefined) return language;
  throw new UsageError(
    text === undefined
      ? `slipway model codegen: --output must end in .ts or .py, or --language says what it is, got '${out}'`
      : `slipway model codegen: --language must be typescript or python, got '${text}'`,
  );
}

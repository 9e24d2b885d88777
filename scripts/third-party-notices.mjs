// Lists every package whose code is inside dist/server.mjs, from the bundler's own record of inputs, and the packages that
// the images install beside it, from their lock file, each with its licence text.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const LICENCE_FILE = /^(licen[cs]e|copying|notice)([.-].*)?$/i;

/** What licences ask to be said of a package, and the package does not say. */
const REMARKS = [
  {
    of: /^@img\/sharp-libvips-/,
    remark: ({ version }) =>
      [
        'libvips and the libraries that it is built of, as one shared library. The images hold the read-me of the package,',
        'which names the licence of each library, its `versions.json`, which names their versions, and beside this file the',
        'texts `LGPL-3.0.txt` and `GPL-3.0.txt`. The source code, that of the parts under the Mozilla Public License 1.1',
        `(cairo) among it, is available under the terms of these licences: https://github.com/lovell/sharp-libvips, tag v${version},`,
        'builds the library and says where the source of each part comes from. Another build of the library may take the',
        "place of the one in the package's folder `lib`.",
      ].join('\n'),
  },
];

/**
 * @param {object} options
 * @param {string} options.root where `node_modules` is
 * @param {{ inputs: Record<string, unknown> }} options.metafile the bundler's record
 * @param {Map<string, { version: string, license: string, cpu?: string[] }>} options.installed package → its entry in the lock
 * file of the images
 * @param {string} options.outfile
 * @throws Error naming packages without a licence
 */
export async function writeThirdPartyNotices({ root, metafile, installed, outfile }) {
  const folders = new Set();
  for (const input of Object.keys(metafile.inputs)) {
    if (input.includes('node_modules/')) folders.add(packageFolder(join(root, input)));
  }
  const bundled = [...folders].map(readPackage);
  const beside = [...installed].map(([name, entry]) => ({
    name,
    version: entry.version,
    licence: entry.license,
    // This machine has the packages of its own processor alone; their texts are those of the packages they belong to.
    ...(entry.cpu === undefined ? textOf(readPackage(join(root, 'node_modules', name))) : { text: '' }),
  }));
  const unlicensed = [...bundled, ...beside].filter(({ licence }) => licence === undefined).map(({ name }) => name);
  if (unlicensed.length > 0)
    throw new Error(`no licence named by ${unlicensed.join(', ')}, which the server ships with`);
  writeFileSync(
    outfile,
    [
      '# Third-party notices',
      `The server bundle, \`server.mjs\` and its chunks, contains code of ${bundled.length} packages. The images install ${beside.length} more beside it, each for its processor: those are listed behind them.`,
      ...[...bundled.sort(byName), ...beside.sort(byName)].map(section),
    ].join('\n\n') + '\n',
  );
}

const textOf = ({ text, by }) => ({ text, by });

function byName(a, b) {
  return `${a.name}@${a.version}` < `${b.name}@${b.version}` ? -1 : 1;
}

function section(entry, _, all) {
  const remarks = REMARKS.filter(({ of }) => of.test(entry.name)).map(({ remark }) => remark(entry));
  if (entry.text === '' && entry.by !== undefined) remarks.push(withoutText(entry, all));
  const text = entry.text === '' ? [] : [`\`\`\`text\n${entry.text.trim()}\n\`\`\``];
  return [`## ${entry.name}@${entry.version}`, `Licence: ${entry.licence}`, ...remarks, ...text].join('\n\n');
}

function withoutText({ licence, by }, all) {
  const terms = licence
    .match(/[\w.-]+/g)
    .map((id) => [id, all.find((other) => other.licence === id && other.text !== '')])
    .filter(([, under]) => under !== undefined)
    .map(([id, under]) => ` The terms of ${id} stand under ${under.name}, with its own holder of the copyright.`);
  return `The package holds no text of its licence. It is by ${by}.${terms.join('')}`;
}

// Not the nearest one with a package.json: some packages have a copy of theirs among their code.
function packageFolder(file) {
  return /^.*\/node_modules\/(@[^/]+\/)?[^/]+/.exec(file)[0];
}

function readPackage(folder) {
  const { name, version, license, author, repository } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const files = readdirSync(folder);
  const texts = files
    .filter((file) => LICENCE_FILE.test(file))
    .sort()
    .map((file) => readFileSync(join(folder, file), 'utf8'));
  // Some say it in their read-me alone.
  const readMe = files.find((file) => /^readme\.md$/i.test(file));
  if (texts.length === 0 && readMe !== undefined) {
    const [text] =
      /^.*Copyright.*$[\s\S]*?^Permission is hereby granted[\s\S]*?SOFTWARE\.$/m.exec(
        readFileSync(join(folder, readMe), 'utf8'),
      ) ?? [];
    if (text !== undefined) texts.push(text);
  }
  const address = (repository?.url ?? repository)?.replace(/^git\+|\.git$/g, '');
  return {
    name,
    version,
    licence: typeof license === 'string' ? license : license?.type,
    text: texts.join('\n\n'),
    by: [author?.name ?? author, address].filter((each) => each !== undefined).join(', '),
  };
}

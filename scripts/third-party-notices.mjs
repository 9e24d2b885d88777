// Lists every package whose code is inside dist/server.mjs, from the bundler's own record of inputs, and the packages that
// the images install beside it, each with its licence text.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const LICENCE_FILE = /^(licen[cs]e|copying|notice)([.-].*)?$/i;

export async function writeThirdPartyNotices({ root, metafile, installed, outfile }) {
  const folders = new Set(installed.map((name) => join(root, 'node_modules', name)));
  for (const input of Object.keys(metafile.inputs)) {
    if (input.includes('node_modules/')) folders.add(packageFolder(join(root, input)));
  }
  const packages = [...folders].map(readPackage).sort((a, b) => (a.id < b.id ? -1 : 1));
  const unlicensed = packages.filter((entry) => entry.licence === undefined).map((entry) => entry.id);
  if (unlicensed.length > 0)
    throw new Error(`no licence named by ${unlicensed.join(', ')}, which the server ships with`);
  const sections = packages.map(
    ({ id, licence, text }) =>
      `## ${id}\n\nLicence: ${licence}\n${text === '' ? '' : `\n\`\`\`text\n${text.trim()}\n\`\`\`\n`}`,
  );
  writeFileSync(
    outfile,
    `# Third-party notices\n\nThe server bundle \`server.mjs\` contains code of these ${packages.length} packages, but for ${installed.join(' and ')}, which the images install beside it.\n\n${sections.join('\n')}`,
  );
}

// The nearest folder above a file that has a package.json with a name and a version: nested ones only set a module type.
function packageFolder(file) {
  for (let folder = dirname(file); folder !== dirname(folder); folder = dirname(folder)) {
    const path = join(folder, 'package.json');
    if (!existsSync(path)) continue;
    const { name, version } = JSON.parse(readFileSync(path, 'utf8'));
    if (name !== undefined && version !== undefined) return folder;
  }
  throw new Error(`no package owns ${file}`);
}

function readPackage(folder) {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const texts = readdirSync(folder)
    .filter((file) => LICENCE_FILE.test(file))
    .sort()
    .map((file) => readFileSync(join(folder, file), 'utf8'));
  return {
    id: `${name}@${version}`,
    licence: typeof license === 'string' ? license : license?.type,
    text: texts.join('\n\n'),
  };
}

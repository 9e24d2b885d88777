// The table of the models, for the terminal and for docs/model/reference.md.

/** How each model came to be, in the order of the table. */
export const MODELS = [
  ['torch', 'PyTorch'],
  ['torchscript', 'TorchScript'],
  ['keras', 'Keras'],
  ['optimized', 'PyTorch, simplified'],
  ['int8', 'PyTorch, static INT8'],
  ['compiled', 'the same, as `compile` lays it out'],
  ['zeros', 'PyTorch, 70 % of weights zero, stored sparse'],
  ['pruned', 'PyTorch, half of its channels pruned'],
  ['tuned', 'the same, fine-tuned'],
  ['student', 'distilled into a sixth of the weights'],
  ['student-int8', 'the student, static INT8'],
];

/** Rows of an evaluation's report, by the names of the models' files. */
export function rowsOf(report, files) {
  const byName = new Map(report.models.map((model) => [model.name, model]));
  return MODELS.filter(([name]) => files[name] !== undefined).map(([name, description]) => {
    const { result, speed, accuracyPerSpeed, fileBytes, against } = byName.get(nameOf(files[name]));
    return {
      name,
      description,
      correct: Math.round(result.metrics.accuracy * result.rows),
      total: result.rows,
      accuracyPercent: rounded(result.metrics.accuracy * 100, 2),
      p50Ms: rounded(speed[0].p50Ms, 4),
      accuracyPerSpeed: rounded(accuracyPerSpeed, 0),
      fileBytes,
      compressionPercent: against === undefined ? 0 : rounded(against.compressionPercent, 2),
    };
  });
}

/** A file called model.onnx goes by the name of its folder. */
function nameOf(file) {
  return file.endsWith('/model.onnx') ? file.split('/').at(-2) : file;
}

export function markdownTable(rows) {
  const lines = rows.map(
    ({ description, correct, total, accuracyPercent, p50Ms, accuracyPerSpeed, fileBytes, compressionPercent }) => [
      description,
      `${correct} ÷ ${total} = ${accuracyPercent.toFixed(2)} %`,
      p50Ms.toFixed(3),
      String(accuracyPerSpeed),
      String(fileBytes),
      compressionPercent.toFixed(2),
    ],
  );
  const header = ['model', 'accuracy', 'ms a row (p50)', 'accuracy ÷ speed', 'bytes', 'compression %'];
  return [header, ['---', '--:', '--:', '--:', '--:', '--:'], ...lines]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n');
}

function rounded(number, digits) {
  return Number(number.toFixed(digits));
}

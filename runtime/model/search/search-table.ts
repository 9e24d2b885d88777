import { percent } from '../compare/acceptance';
import { formatBytes } from '../quantities';
import { formatMs } from './choose-candidate';
import type { RecipeStep } from './recipe';
import type { SearchReport, SearchRow } from './search-report';

/** The table as cells, headings first, for terminals. Rows without numbers are told by `reasonsOf`. */
export function searchTable({ rows, mainMetric, chosen }: SearchReport): readonly (readonly string[])[] {
  const heading = ['', 'front', mainMetric, 'lost', 'median', '±', 'against the source', 'size', 'smaller by'];
  const cells = rows.flatMap((row) => {
    if (row.numbers === undefined) return [];
    const { accuracy, drop, fileBytes, compressionPercent, speed } = row.numbers;
    const isSource = row.state === 'source';
    return [
      [
        `${row.name === chosen ? '→' : ' '} ${row.name}`,
        row.onFront ? '*' : '',
        percent(accuracy),
        isSource ? '' : percent(drop),
        formatMs(speed.p50Ms),
        `${(speed.spread * 50).toFixed(0)} %`,
        describeSpeed(row),
        formatBytes(fileBytes),
        isSource ? '' : `${compressionPercent.toFixed(1)} %`,
      ],
    ];
  });
  return [heading, ...cells];
}

/** Why recipes came to nothing, a line each. */
export function reasonsOf({ rows }: SearchReport): readonly string[] {
  return rows.flatMap(({ name, state, reason }) => (reason === undefined ? [] : [`  ${name} ${state}: ${reason}`]));
}

/** What must be known of the numbers, a sentence each: none where no model is of INT8. */
export function notesOf({ rows, calibration, int8Instructions }: SearchReport): readonly string[] {
  const quantized = rows
    .filter(({ numbers }) => numbers !== undefined)
    .flatMap(({ steps }) => steps.filter((step) => step.do === 'quantize'));
  const hasRanges = quantized.some(({ mode }) => mode !== 'dynamic');
  return [
    ...(calibration.isDataset && hasRanges
      ? ['ranges of INT8 models were found on the very rows that all models are judged by']
      : []),
    ...(int8Instructions?.length === 0 && quantized.length > 0
      ? ['this processor has no instructions for 8-bit products (VNNI): elsewhere INT8 may well be faster']
      : []),
  ];
}

/** `1.8 times as fast`; where rounds do not agree, that they do not. */
export function describeSpeed({ numbers }: SearchRow): string {
  if (numbers?.against === undefined) return '';
  const { ratio, isSure } = numbers.against;
  return isSure ? `${ratio.toFixed(2)} times as fast` : `${ratio.toFixed(2)}, within the noise`;
}

/** `optimize → quantize (method entropy)`. */
export function describeSteps(steps: readonly RecipeStep[]): string {
  return steps
    .map(({ do: kind, ...fields }) => {
      const said = Object.entries(fields).map(([field, value]) => `${field} ${String(value)}`);
      return said.length === 0 ? kind : `${kind} (${said.join(', ')})`;
    })
    .join(' → ');
}

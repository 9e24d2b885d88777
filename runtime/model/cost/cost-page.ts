import { escapeMarkup } from '../escape-markup';
import { formatBytes, formatQuantity } from '../quantities';
import type { ModelCost, NodeCost } from './model-cost';

/** Distinct in colour and, for those who see them alike, in lightness; the last one is for all further operators. */
const COLOURS = ['#1f5fa8', '#e08a1e', '#2a9d6f', '#c23b5a', '#7a5fb0', '#8b8f94'];
const WIDTH = 1_000;
const STRIP_HEIGHT = 220;
const ROWS = 25;

/**
 * A page of one file, without scripts, that shows where a model's operations are: by operator, along the graph, and its
 * costliest nodes.
 * @param title what the model is called; text, as all names of nodes are
 */
export function renderCostPage(title: string, cost: ModelCost): string {
  const byOperator = groupByOperator(cost.nodes);
  const colours = new Map(byOperator.map(({ operator }, i) => [operator, COLOURS[Math.min(i, COLOURS.length - 1)]!]));
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${escapeMarkup(title)}: cost</title>
<style>
body { font: 15px/1.45 system-ui, sans-serif; color: #1c1f23; background: #fff; max-width: ${WIDTH}px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid #e3e5e8; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; } .wide { overflow-x: auto; } svg { width: 100%; height: auto; } .note { color: #5b6168; }
@media (prefers-color-scheme: dark) { body { color: #e6e8ea; background: #16181b; } th, td { border-color: #33373c; } .note { color: #a2a8af; } svg text { fill: #e6e8ea; } }
</style></head><body>
<h1>${escapeMarkup(title)}</h1>
<p>One run of ${cost.batch} ${cost.batch === 1 ? 'row' : 'rows'}: <b>${formatQuantity(cost.operations)}</b> operations (a multiplication and an
addition are two), <b>${formatQuantity(cost.parameters)}</b> parameters, <b>${formatBytes(cost.weightBytes)}</b> of weights, and at least
<b>${formatBytes(cost.activationBytes)}</b> for values in between.</p>
${notes(cost)}
<h2>By operator</h2>
${operatorBars(byOperator, cost.operations, colours)}
<h2>Along the graph</h2>
${strip(cost.nodes, colours)}
<p class="note">One bar for each node, in the order of the file; its height is its operations. Point at one for its name.</p>
<h2>The costliest nodes</h2>
${nodeTable(cost)}
</body></html>
`;
}

interface OperatorCost {
  readonly operator: string;
  readonly nodes: number;
  readonly operations: number;
}

function groupByOperator(nodes: readonly NodeCost[]): readonly OperatorCost[] {
  const groups = new Map<string, OperatorCost>();
  for (const { operator, operations = 0 } of nodes) {
    const so = groups.get(operator) ?? { operator, nodes: 0, operations: 0 };
    groups.set(operator, { operator, nodes: so.nodes + 1, operations: so.operations + operations });
  }
  return [...groups.values()].sort((a, b) => b.operations - a.operations || b.nodes - a.nodes);
}

function notes({ unknownNodes, assumed }: ModelCost): string {
  const said = [
    ...(unknownNodes === 0 ? [] : [`${unknownNodes} nodes are not counted: their shapes show only in a run.`]),
    ...(assumed.length === 0
      ? []
      : [
          `Free dimensions taken as 1: ${assumed.map((name) => (name === '' ? 'one without a name' : name)).join(', ')}.`,
        ]),
  ];
  return said.map((line) => `<p class="note">${escapeMarkup(line)}</p>`).join('\n');
}

function operatorBars(groups: readonly OperatorCost[], total: number, colours: ReadonlyMap<string, string>): string {
  const rowHeight = 26;
  const left = 190;
  const most = Math.max(1, ...groups.map(({ operations }) => operations));
  const rows = groups.map(({ operator, nodes, operations }, i) => {
    const width = Math.max(1, (operations / most) * (WIDTH - left - 250));
    const y = i * rowHeight;
    const share = total === 0 ? 0 : (operations / total) * 100;
    return (
      `<text x="0" y="${y + 17}">${escapeMarkup(shorten(operator, 24))}</text>` +
      `<rect x="${left}" y="${y + 4}" width="${width.toFixed(1)}" height="18" rx="2" fill="${colours.get(operator)!}"/>` +
      `<text x="${(left + width + 8).toFixed(1)}" y="${y + 17}">${share.toFixed(1)} %, ${formatQuantity(operations)} in ${nodes} nodes</text>`
    );
  });
  return `<svg viewBox="0 0 ${WIDTH} ${groups.length * rowHeight}" role="img" aria-label="operations by operator" font-size="14">${rows.join('')}</svg>`;
}

function strip(nodes: readonly NodeCost[], colours: ReadonlyMap<string, string>): string {
  const most = Math.max(1, ...nodes.map(({ operations }) => operations ?? 0));
  const step = WIDTH / Math.max(1, nodes.length);
  const bars = nodes.map((node, i) => {
    const height = Math.max(1, ((node.operations ?? 0) / most) * (STRIP_HEIGHT - 4));
    const label = `${node.name} (${node.operator}): ${formatQuantity(node.operations)} operations, ${formatBytes(node.weightBytes)} of weights, ${formatBytes(node.outputBytes)} out`;
    return (
      `<rect x="${(i * step).toFixed(2)}" y="${(STRIP_HEIGHT - height).toFixed(1)}" width="${Math.max(0.5, step * 0.85).toFixed(2)}" ` +
      `height="${height.toFixed(1)}" fill="${colours.get(node.operator)!}"><title>${escapeMarkup(label)}</title></rect>`
    );
  });
  return `<svg viewBox="0 0 ${WIDTH} ${STRIP_HEIGHT}" role="img" aria-label="operations along the graph">${bars.join('')}</svg>`;
}

function nodeTable({ nodes, operations }: ModelCost): string {
  const costliest = [...nodes].sort((a, b) => (b.operations ?? 0) - (a.operations ?? 0)).slice(0, ROWS);
  const rows = costliest.map(
    (node) =>
      `<tr><td>${escapeMarkup(shorten(node.name, 60))}</td><td>${escapeMarkup(node.operator)}</td>` +
      `<td class="n">${formatQuantity(node.operations)}</td><td class="n">${operations === 0 ? '0.0' : (((node.operations ?? 0) / operations) * 100).toFixed(1)} %</td>` +
      `<td class="n">${formatBytes(node.weightBytes)}</td><td class="n">${formatBytes(node.outputBytes)}</td></tr>`,
  );
  return `<div class="wide"><table><thead><tr><th>node</th><th>operator</th><th class="n">operations</th><th class="n">share</th><th class="n">weights</th><th class="n">output</th></tr></thead><tbody>${rows.join('\n')}</tbody></table></div>`;
}

function shorten(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
}

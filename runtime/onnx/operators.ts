import type { OperatorUse, OpsetImport } from '../spec/model-facts';
import type { DecodedModel } from './decode-model';
import type { NodeProto } from './generated/onnx-ml_pb';

/** Opsets of the model and of its local functions, the highest of each domain, in the order of the file. */
export function readOpsets(model: DecodedModel): readonly OpsetImport[] {
  const versions = new Map<string, number>();
  for (const { domain, version } of [model, ...model.functions].flatMap((part) => part.opsetImport)) {
    const key = canonicalDomain(domain);
    versions.set(key, Math.max(versions.get(key) ?? 0, Number(version)));
  }
  const localDomains = new Set(model.functions.map((local) => local.domain));
  return [...versions]
    .filter(([domain]) => domain === '' || !localDomains.has(domain))
    .map(([domain, version]) => ({ domain, version }));
}

/** A call of a local function is no operator: the nodes of its body are counted instead, once. */
export function countOperators(nodes: readonly NodeProto[], model: DecodedModel): readonly OperatorUse[] {
  const localFunctions = new Set(model.functions.map((local) => operatorKey(local.domain, local.name)));
  const uses = new Map<string, OperatorUse>();
  for (const node of nodes) {
    const domain = canonicalDomain(node.domain);
    const key = operatorKey(domain, node.opType);
    if (localFunctions.has(key)) continue;
    uses.set(key, { domain, operator: node.opType, count: (uses.get(key)?.count ?? 0) + 1 });
  }
  return [...uses.keys()].sort().map((key) => uses.get(key) as OperatorUse);
}

/** Domains whose operators mean what their names say; the names of the two do not overlap. */
const KNOWN_DOMAINS: ReadonlySet<string> = new Set(['', 'com.microsoft', 'com.microsoft.nchwc']);

/** The operator of a node of the standard or of ONNX Runtime's own domain; undefined for others, which may mean anything by a name. */
export function knownOperator({ domain, opType }: NodeProto): string | undefined {
  return KNOWN_DOMAINS.has(canonicalDomain(domain)) ? opType : undefined;
}

/** `ai.onnx` is the long name of the standard domain `''`. */
function canonicalDomain(domain: string): string {
  return domain === 'ai.onnx' ? '' : domain;
}

function operatorKey(domain: string, operator: string): string {
  return `${canonicalDomain(domain)}:${operator}`;
}

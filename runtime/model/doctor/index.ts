export { rowsNotIndependent } from './examine-batching';
export { examineModel } from './examine-model';
export { describeFinding, type Finding, type FindingCode } from './finding';

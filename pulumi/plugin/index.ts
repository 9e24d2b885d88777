export { hostComponents } from './host';

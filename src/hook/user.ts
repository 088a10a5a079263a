/** What only a process with instrumentations of the operator's own needs; built as a file of its own. */
export { esModulePackages, hookEsModules } from './esm';
export { loadUserInstrumentations } from './user-instrumentations';

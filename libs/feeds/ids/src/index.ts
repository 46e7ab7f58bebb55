export * from './ids';
export * from './parameters';

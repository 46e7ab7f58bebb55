export * from './answers';
export * from './events';
export * from './wire';
export * from './wire-privacy';

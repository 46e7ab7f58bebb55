export * from './catalogue';
export * from './decider';
export * from './event-store';
export * from './handle';
export * from './state-cache';

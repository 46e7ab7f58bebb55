export { traceRequests } from './requests';
export { contextOf, isTracing, startTracing, together, traced, traceparent } from './tracing';

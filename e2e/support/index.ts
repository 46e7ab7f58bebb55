export { oneOf, randomFrom } from './limits';
export { ServiceProcess } from './service-process';
export { startSystem, storesOf, type Kind, type System } from './system';

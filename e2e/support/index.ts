export { oneOf, randomFrom } from './limits';
export { ServiceProcess } from './service-process';
export { LINK_KEY, startSystem, storesOf, type Kind, type System } from './system';

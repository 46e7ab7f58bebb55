export { ServiceProcess } from './service-process';
export { startSystem, type Kind, type System } from './system';

export { oneOf, randomFrom } from './limits';
export { type ServiceName, SERVICES } from './logins';
export { findNginx, NoNginx } from './nginx';
export { ServiceProcess } from './service-process';
export { runServices } from './services';
export { LINK_KEY, startSystem, storesOf, type Kind, type System } from './system';

export { forgetReadModels } from './erasures';
export { usersRebuildable } from './rebuild';
export { usersProjector } from './users-projector';

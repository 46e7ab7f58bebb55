export { forgetReadModels } from './erasures';
export { usersRebuildable } from './rebuild';
export { ACTIVITY_STEP_MS, usersProjector } from './users-projector';

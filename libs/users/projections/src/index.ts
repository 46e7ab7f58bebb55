export { forgetReadModels } from './erasures';
export { usersProjector } from './users-projector';

export { usersProjector } from './users-projector';

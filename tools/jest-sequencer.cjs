const { default: Sequencer } = require('@jest/test-sequencer');

/** What runs for long, the longest first, by the beginning of its path: were one of these begun last, the others' workers would stand idle. */
const LONG = [
  'e2e/lifecycle',
  'e2e/faults',
  'e2e/cluster',
  'e2e/fuzz',
  'e2e/rebuild',
  'e2e/jobs',
  'e2e/privacy-public',
  'e2e/export',
  'e2e/isolation',
  'e2e/journey',
  'e2e/dashboard',
  'libs/platform/stores/src/projector-runner',
  'libs/site/projections/src/exactness',
  'libs/platform/stores/src/lanes',
  'libs/platform/stores/src/event-store-db',
  'apps/jobs/src/months',
  'apps/standalone/src/postgres',
  'libs/embedded/src/',
  'tools/seed/explain',
];

/** As Jest would have it, by what it knows of durations and else by size, but for those of LONG. */
module.exports = class extends Sequencer {
  sort(tests) {
    const place = ({ path, context }) => {
      const found = LONG.findIndex((start) => path.startsWith(`${context.config.rootDir}/${start}`));
      return found === -1 ? LONG.length : found;
    };
    return super.sort(tests).sort((one, other) => place(one) - place(other));
  }
};

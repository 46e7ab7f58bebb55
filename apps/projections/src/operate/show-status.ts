import {
  Intervention,
  interventionsOf,
  ProjectorStanding,
  SegmentStanding,
  standingsOf,
} from '@balados/platform-stores';
import { Opened } from './contexts';

const HEADINGS = [
  'projector',
  'segment',
  'position',
  'events behind',
  'seconds',
  'held by',
  'moved',
  'stands still because',
];

/** Prints where all projectors stand. @returns the exit code: 1 when one of them stands still */
export async function showStatus(
  { store, users, site }: Opened,
  { isJson, stdout }: { isJson: boolean; stdout: NodeJS.WritableStream },
): Promise<number> {
  const projectors: ProjectorStanding[] = [];
  const interventions: Intervention[] = [];
  for (const { live, rebuildable } of [users, site]) {
    projectors.push(...(await standingsOf(live, store, rebuildable.projector)));
    interventions.push(...(await interventionsOf(live, rebuildable.projector.schema)));
  }
  interventions.sort((one, two) => two.at.getTime() - one.at.getTime());
  const head = (await store.headPosition())?.toString() ?? null;
  const storeId = await store.storeId();
  if (isJson) stdout.write(`${JSON.stringify({ store_id: storeId, head, projectors, interventions }, undefined, 2)}\n`);
  else stdout.write(textOf({ storeId, head, projectors, interventions }));
  return projectors.some(({ segments }) => segments.some(({ failed }) => failed)) ? 1 : 0;
}

interface Status {
  storeId: string;
  head: string | null;
  projectors: readonly ProjectorStanding[];
  interventions: readonly Intervention[];
}

function textOf({ storeId, head, projectors, interventions }: Status): string {
  const rows = projectors.flatMap(({ projector, segments }) =>
    segments.map((segment) => [projector, String(segment.segment), ...cellsOf(segment, storeId)]),
  );
  const lines = [`event store ${storeId}, head ${head ?? 'none: it is empty'}`, '', ...table([HEADINGS, ...rows])];
  for (const { projector, isRebuild, processes } of projectors)
    if (isRebuild)
      lines.push(
        '',
        processes > 0
          ? `${projector}: under way in ${processes} ${processes === 1 ? 'process' : 'processes'}`
          : `${projector}: nobody is at it. Until it goes on, or is given up by --abort, no stream is trimmed and nothing erased for good.`,
      );
  if (interventions.length > 0) {
    lines.push('', 'What people did:');
    for (const { at, who, projector, action, event, type, stream, reason } of interventions)
      lines.push(
        `  ${at.toISOString()} ${who}: ${projector}, ${action}` +
          (event ? ` ${event} (${type} of ${stream ?? 'somebody who was erased'}): ${reason ?? ''}` : ''),
      );
  }
  return `${lines.join('\n')}\n`;
}

function cellsOf(segment: SegmentStanding, storeId: string): string[] {
  const { position, lagEvents, isLagMore, lagSeconds, owner, movedAt, failed } = segment;
  const isElsewhere = segment.storeId !== null && segment.storeId !== storeId;
  const behind = isElsewhere ? 'another store' : lagEvents === null ? 'beyond the head' : String(lagEvents);
  return [
    position ?? 'the start',
    isLagMore ? `${lagEvents} or more` : behind,
    lagSeconds === null ? '' : lagSeconds.toFixed(0),
    owner ?? 'nobody',
    movedAt.toISOString(),
    failed ? `${failed.event ? `event ${failed.event}: ` : ''}${failed.reason}` : '',
  ];
}

function table(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join('  ')
      .trimEnd(),
  );
}

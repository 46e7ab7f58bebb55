import { draw } from './plots.js';

/** So many samples of what is drawn are remembered: ten minutes. */
const SAMPLES_KEPT = 200;
const LAG_TOLERATED_S = 10;

const by = (id) => document.getElementById(id);
const count = (number) => (number === null || number === undefined ? '–' : new Intl.NumberFormat('en').format(number));
const signed = (number) => (number > 0 ? `+${count(number)}` : count(number));
function seconds(number) {
  if (number === null || number === undefined) return '–';
  if (number > 0 && number < 1) return `${Math.round(number * 1_000)} ms`;
  if (number < 100) return `${number.toFixed(number === 0 || number >= 10 ? 0 : 1)} s`;
  return number < 7_200 ? `${Math.round(number / 60)} min` : `${Math.round(number / 3_600)} h`;
}
const bytes = (number) => {
  const power = Math.min(4, Math.floor(Math.log2(Math.max(number, 1)) / 10));
  return `${(number / 1_024 ** power).toFixed(power === 0 ? 0 : 1)} ${['B', 'KiB', 'MiB', 'GiB', 'TiB'][power]}`;
};
const time = (at) => new Date(at).toLocaleTimeString();
const when = (at) => (Date.now() - Date.parse(at) < 86_400_000 ? time(at) : new Date(at).toLocaleString());

/** What strangers have named is text, and never anything else. */
function make(tag, { text, className, ...attributes } = {}, ...children) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (className) element.className = className;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Writes only what is another text than before, so that readers are left where they are. */
const write = (element, text, className = element.className) => {
  if (element.textContent !== text) element.textContent = text;
  if (element.className !== className) element.className = className;
};

/**
 * A table in a part of the page that scrolls by itself. Each row is [title, ...cells]; a cell is a text, `{text, className}`, or an element.
 */
function table(id, titles, rows) {
  const place = by(id);
  let region = place.querySelector('.scroll');
  if (!region) {
    const head = make(
      'thead',
      {},
      make('tr', {}, ...titles.map(({ text, className }) => make('th', { text, className, scope: 'col' }))),
    );
    region = make('div', { className: 'scroll', role: 'region', tabindex: '0', 'aria-labelledby': `${id}-title` });
    region.append(make('table', { 'aria-labelledby': `${id}-title` }, head, make('tbody')));
    place.replaceChildren(region);
  }
  const body = region.querySelector('tbody');
  while (body.rows.length > rows.length) body.deleteRow(-1);
  rows.forEach((cells, index) => {
    const row =
      body.rows[index] ??
      body.appendChild(
        make(
          'tr',
          {},
          ...titles.map(({ className }, nth) => (nth === 0 ? make('th', { scope: 'row' }) : make('td', { className }))),
        ),
      );
    cells.forEach((cell, nth) => {
      const place = row.cells[nth];
      if (typeof cell === 'function') cell(place);
      else if (typeof cell === 'string') write(place, cell);
      else write(place, cell.text, cell.className);
    });
  });
}

const number = (text) => ({ text, className: 'number' });

/** Shows a part, or in its place why it is away. */
function part(id, shown, show) {
  if (shown.away === undefined) return show(shown);
  const place = by(id);
  const said = place.querySelector(':scope > .bad');
  if (said) write(said, shown.away);
  else place.replaceChildren(make('p', { className: 'bad', text: shown.away }));
}

let samples = [];
/** Of each podcast its scores since this page was opened. */
const scores = new Map();
let isPaused = false;

function showNow({ figures, log, projections }) {
  const { kept, recorded, logBytes, tablesBytes, active } = figures;
  write(by('events'), count(kept));
  write(by('hour'), count(active?.['1h']));
  write(by('day'), count(active?.['24h']));
  const lag = samples.at(-1)?.lag ?? null;
  write(by('lag'), seconds(lag), lag !== null && lag > LAG_TOLERATED_S ? 'figure bad' : 'figure');
  const more = [
    figures.away ?? `${count(recorded)} recorded in all, as far as projections have come`,
    figures.away || logBytes === null ? '' : `${bytes(logBytes)} on disk`,
    figures.away ? '' : `tables ${bytes(tablesBytes)}`,
    log.away ? `event store: ${log.away}` : `log position ${log.position}`,
  ];
  write(by('events-more'), more.filter(Boolean).join(' · '), figures.away || log.away ? 'bad' : 'quiet');
  for (const [name, title, inWords] of [
    ['events', 'Events in the store', count],
    ['hour', 'Active listeners in an hour', count],
    ['day', 'Active listeners in 24 hours', count],
    ['lag', 'Projection lag', seconds],
  ])
    draw(
      by(`${name}-plot`),
      title,
      samples.map((sample) => ({ at: sample.at, value: sample[name] })),
      inWords,
    );
  const away = [figures, log, projections].filter(({ away }) => away !== undefined);
  return away.length > 0
    ? `Connected; not everything answers: ${[...new Set(away.map(({ away }) => away))].join(' ')}`
    : 'Connected.';
}

const show = {
  services: ({ services }) =>
    table(
      'services',
      [{ text: 'Service' }, { text: 'State' }, { text: 'What fails', className: 'words' }],
      services.map(({ name, state, failing }) => [
        name,
        { text: state, className: state === 'ready' ? 'good' : 'bad' },
        failing.join(', ') || '–',
      ]),
    ),
  projections: ({ projectors }) =>
    table(
      'projections',
      [
        { text: 'Projector' },
        { text: 'State' },
        number('Lag'),
        number('Events behind'),
        number('Processes'),
        { text: 'Moved last' },
      ],
      projectors.map(
        ({ projector, stopped, unheld, segments, lagSeconds, lagEvents, isLagMore, processes, movedAt }) => [
          projector,
          stopped.length > 0
            ? { text: `segment ${stopped.join(', ')} stands still: see projections status`, className: 'bad' }
            : unheld > 0
              ? { text: `${unheld} of ${segments} segments are nobody's`, className: 'bad' }
              : { text: 'follows', className: 'good' },
          number(seconds(lagSeconds)),
          number(`${isLagMore ? 'more than ' : ''}${count(lagEvents)}`),
          number(count(processes)),
          when(movedAt),
        ],
      ),
    ),
  popularity: ({ podcasts }, at) => {
    if (podcasts.length === 0)
      return by('popularity').replaceChildren(make('p', { text: 'Nothing is published yet.' }));
    for (const { id, score } of podcasts)
      scores.set(id, [...(scores.get(id) ?? []), { at, value: score }].slice(-SAMPLES_KEPT));
    return table(
      'popularity',
      [
        { text: 'Podcast' },
        number('Score'),
        number('Growth'),
        number('Changed'),
        { text: 'Score over time' },
        number('Plays'),
        number('Likes'),
      ],
      podcasts.map(({ id, title, host, score, growth, plays, likes }) => [
        title ? `${title} (${host})` : host,
        number(count(score)),
        number(signed(growth)),
        number(signed(score - scores.get(id)[0].value)),
        (place) => draw(place, `Score of ${title ?? host}`, scores.get(id), count),
        number(count(plays)),
        number(count(likes)),
      ]),
    );
  },
  jobs: ({ jobs }) =>
    table(
      'jobs',
      [
        { text: 'Job' },
        { text: 'Last kept run' },
        { text: 'Outcome' },
        number('Took'),
        { text: 'What it does', className: 'words' },
      ],
      jobs.map(({ name, does, last }) => [
        name,
        last ? when(last.beganAt) : '–',
        outcome(last),
        number(seconds(last?.seconds)),
        does,
      ]),
    ),
  runs: ({ runs }) =>
    table(
      'runs',
      [
        { text: 'Job' },
        { text: 'Began' },
        { text: 'Outcome' },
        number('Took'),
        { text: 'Did', className: 'words' },
        { text: 'Copy' },
      ],
      runs.map((run) => [
        run.job,
        when(run.beganAt),
        outcome(run),
        number(seconds(run.seconds)),
        Object.entries(run.figures)
          .map(([name, figure]) => `${name} ${count(figure)}`)
          .join(', ') || '–',
        run.replica,
      ]),
    ),
};

function outcome(run) {
  if (!run) return { text: '–', className: '' };
  const isBad = run.outcome === 'failed' || run.figures.failed > 0;
  return { text: run.error ? `${run.outcome}: ${run.error}` : run.outcome, className: isBad ? 'bad' : 'good' };
}

function showAll({ at, sections, sample }) {
  samples = [...samples.filter((one) => one.at < sample.at), sample].slice(-SAMPLES_KEPT);
  if (isPaused) return;
  write(by('state'), showNow(sections));
  write(by('updated'), `Updated ${time(at)}`);
  for (const id of ['services', 'projections', 'popularity', 'jobs'])
    part(id, sections[id], (shown) => show[id](shown, at));
  part('runs', sections.jobs, show.runs);
}

const source = new EventSource('/dashboard/events');
source.addEventListener('history', ({ data }) => (samples = JSON.parse(data)));
source.addEventListener('snapshot', ({ data }) => showAll(JSON.parse(data)));
source.addEventListener('error', async () => {
  write(by('state'), 'The connection is lost; trying again.');
  // A browser gives up when it is refused: either the session has ended, and a login is shown, or there are too many viewers.
  if (source.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 2_000);
});
by('pause').addEventListener('click', ({ currentTarget }) => {
  isPaused = !isPaused;
  currentTarget.setAttribute('aria-pressed', String(isPaused));
  write(by('state'), isPaused ? 'Paused.' : 'Going on with the next figures.');
});

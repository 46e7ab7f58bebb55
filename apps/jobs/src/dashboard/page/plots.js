const SVG = 'http://www.w3.org/2000/svg';
const [WIDTH, HEIGHT, EDGE] = [100, 30, 2];

/** The path of a line through samples, in a box of 100 by 30; a value that was not known leaves a gap. */
export function pathOf(samples) {
  const known = samples.filter(({ value }) => value !== null);
  if (known.length === 0) return '';
  const [from, to] = [samples[0].at, samples.at(-1).at];
  const values = known.map(({ value }) => value);
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const x = (at) => (to === from ? 0 : ((at - from) / (to - from)) * WIDTH);
  const y = (value) =>
    most === least ? HEIGHT / 2 : HEIGHT - EDGE - ((value - least) / (most - least)) * (HEIGHT - 2 * EDGE);
  let isDown = false;
  return samples
    .map(({ at, value }) => {
      if (value === null) {
        isDown = false;
        return '';
      }
      const step = `${isDown ? 'L' : 'M'}${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
      isDown = true;
      return step;
    })
    .join('');
}

/** Draws a line into an element, and says in words what it shows. */
export function draw(element, name, samples, inWords) {
  const known = samples.filter(({ value }) => value !== null);
  let svg = element.querySelector('svg');
  if (!svg) {
    svg = document.createElementNS(SVG, 'svg');
    svg.setAttribute('viewBox', `0 0 ${WIDTH} ${HEIGHT}`);
    svg.setAttribute('preserveAspectRatio', 'none');
    svg.setAttribute('role', 'img');
    svg.append(document.createElementNS(SVG, 'path'));
    element.replaceChildren(svg);
  }
  svg.querySelector('path').setAttribute('d', pathOf(samples));
  const [first, last] = [known[0], known.at(-1)];
  const since = first ? Math.round((samples.at(-1).at - first.at) / 60_000) : 0;
  svg.setAttribute(
    'aria-label',
    first
      ? `${name}: from ${inWords(first.value)} to ${inWords(last.value)} in ${since} minutes`
      : `${name}: not known`,
  );
}

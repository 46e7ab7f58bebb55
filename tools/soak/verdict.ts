/** Points of a line in time: milliseconds, and a value. */
export type Point = readonly [at: number, value: number];

/** The line nearest to some points, by least squares. @returns its rise from the first of them to the last */
export function rise(points: readonly Point[]): number {
  if (points.length < 2) return 0;
  const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [at, value] = [mean(points.map(([at]) => at)), mean(points.map(([, value]) => value))];
  const slope =
    points.reduce((sum, point) => sum + (point[0] - at) * (point[1] - value), 0) /
    points.reduce((sum, point) => sum + (point[0] - at) ** 2, 0);
  return slope * (points.at(-1)![0] - points[0]![0]);
}

/**
 * The least value of each `width` milliseconds: of a heap, what is left after a collection, whenever that was. What begins and does not last
 * for half of it is left out.
 */
export function floor(points: readonly Point[], width: number): Point[] {
  const least = new Map<number, Point>();
  const counts = new Map<number, number>();
  for (const point of points) {
    const part = Math.floor((point[0] - points[0]![0]) / width);
    const known = least.get(part);
    counts.set(part, (counts.get(part) ?? 0) + 1);
    if (!known || point[1] < known[1]) least.set(part, point);
  }
  const most = Math.max(...counts.values());
  return [...least].filter(([part]) => counts.get(part)! * 2 >= most).map(([, point]) => point);
}

/** What is in the first third of a time, and what in the last. */
export function thirds<Item>(items: readonly Item[], at: (item: Item) => number, from: number, to: number) {
  const third = (to - from) / 3;
  return {
    first: items.filter((item) => at(item) >= from && at(item) < from + third),
    last: items.filter((item) => at(item) >= to - third && at(item) <= to),
  };
}

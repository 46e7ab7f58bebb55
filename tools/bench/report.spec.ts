import { printTable, spread } from './report';

it('names the times that half and 99 of 100 do not exceed', () => {
  const times = Array.from({ length: 200 }, (_, n) => 200 - n);
  expect(spread(times)).toEqual({ p50: 100, p99: 198 });
  expect(spread([7])).toEqual({ p50: 7, p99: 7 });
});

it('refuses to name them of nothing', () => {
  expect(() => spread([])).toThrow('no time was measured');
});

it('lines the columns up, and names each missed goal after the table', () => {
  const written: string[] = [];
  const write = jest.spyOn(process.stdout, 'write').mockImplementation((text) => {
    written.push(String(text));
    return true;
  });
  try {
    printTable([
      { what: 'short', measured: '1/s', ceiling: '9/s alone', goal: '≥ 5/s', met: false },
      { what: 'a longer name', measured: '10/s', goal: '≥ 5/s', met: true },
      { what: 'no goal', measured: '3 ms' },
    ]);
  } finally {
    write.mockRestore();
  }
  const lines = written.join('').split('\n');
  const column = (line: string | undefined, text: string) => line?.indexOf(text);
  const heading = lines.find((line) => line.startsWith('figure'));
  expect(
    column(
      lines.find((line) => line.startsWith('short')),
      '1/s',
    ),
  ).toBe(column(heading, 'measured'));
  expect(
    column(
      lines.find((line) => line.startsWith('a longer')),
      '≥ 5/s',
    ),
  ).toBe(column(heading, 'goal'));
  expect(lines).toContain('1 of 2 goals met.');
  expect(lines).toContain('  missed: short: 1/s; goal ≥ 5/s');
});

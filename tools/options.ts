/**
 * What a tool is called with, by `read`: undefined when it asks for help. Whoever asks, or calls it with what it does not take, is told its
 * usage, and then nothing is to be done.
 */
export function optionsOf<Options>(usage: string, read: () => Options | undefined): Options | undefined {
  try {
    const options = read();
    if (!options) console.log(usage);
    return options;
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n\n${usage}`);
    process.exitCode = 2;
    return undefined;
  }
}

/** @throws Error for what is no whole number from `least` on */
export function wholeNumber(name: string, text: string, least = 1): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= least) return value;
  throw new Error(`--${name} is no number from ${least} on: ${text}`);
}

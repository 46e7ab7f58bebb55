/** What the demo uses of it; the package brings no types. */
declare module 'cli-progress' {
  export class SingleBar {
    constructor(options: { format: string; hideCursor?: boolean; clearOnComplete?: boolean });
    start(total: number, value: number, payload: { doing: string }): void;
    increment(by: number, payload: { doing: string }): void;
    stop(): void;
  }
}

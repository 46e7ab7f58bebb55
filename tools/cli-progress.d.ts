/** What we use of it; the package brings no types. */
declare module 'cli-progress' {
  type Payload = Readonly<Record<string, string>>;
  export class SingleBar {
    constructor(options: { format: string; hideCursor?: boolean; clearOnComplete?: boolean });
    start(total: number, value: number, payload: Payload): void;
    update(value: number, payload: Payload): void;
    increment(by: number, payload: Payload): void;
    stop(): void;
  }
}

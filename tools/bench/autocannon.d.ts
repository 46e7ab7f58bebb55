// autocannon carries no types: what we use of it.
declare module 'autocannon' {
  export interface Request {
    method?: string;
    path?: string;
    headers?: Record<string, string>;
    body?: string;
    setupRequest?: (request: Request) => Request;
    onResponse?: (status: number, body: string) => void;
  }

  export interface Client {
    setRequests(requests: Request[]): void;
  }

  export interface Result {
    /** Seconds. */
    duration: number;
    '2xx': number;
    '3xx': number;
    non2xx: number;
    errors: number;
    timeouts: number;
    mismatches: number;
    /** Milliseconds. */
    latency: { p50: number; p99: number };
    statusCodeStats: Record<string, { count: number }>;
  }

  export default function autocannon(options: {
    url: string;
    connections: number;
    duration: number;
    timeout?: number;
    expectBody?: string;
    setupClient?: (client: Client) => void;
  }): Promise<Result>;
}

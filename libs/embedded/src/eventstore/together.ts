import type { Writable } from 'node:stream';

/**
 * Lets a call hand over all messages that wait at once. By itself it sends one, waits until the socket has taken it, and
 * sends the next: a turn of the event loop and a system call for each.
 */
export function sendTogether(call: Writable): void {
  call._writev = (chunks, callback) => {
    let left = chunks.length;
    const taken = () => {
      if (--left === 0) callback();
    };
    for (const { chunk, encoding } of chunks) call._write(chunk, encoding, taken);
  };
}

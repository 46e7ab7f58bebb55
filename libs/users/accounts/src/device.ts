import { Refusal } from '@balados/event-sourcing';

/** Longest id and name of a device, in characters. */
export const DEVICE_MAX_LENGTH = 128;

/** What the listener's app says of its device; null when it says nothing. */
export interface Device {
  deviceId: string | null;
  deviceName: string | null;
}

const FORM = new RegExp(`^[^\\u0000-\\u001f\\u007f\\p{Cs}]{1,${DEVICE_MAX_LENGTH}}$`, 'u');

/** Whether a text may be the id or the name of a device: no control characters, 1 to DEVICE_MAX_LENGTH characters. */
export const isDeviceText = (text: string): boolean => FORM.test(text);

/** @throws Refusal `invalid_device` */
export function requireDevice({ deviceId, deviceName }: Device): void {
  for (const text of [deviceId, deviceName])
    if (text !== null && !isDeviceText(text))
      throw new Refusal(
        'invalid_device',
        `The id and the name of a device have 1 to ${DEVICE_MAX_LENGTH} characters, no control characters among them.`,
      );
}

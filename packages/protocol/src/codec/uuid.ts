/** Kafka's "no id": what an absent uuid decodes to. */
export const zeroUuid = '00000000-0000-0000-0000-000000000000';

const hex: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));
const spelling = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

export function readUuid(bytes: Uint8Array, position: number): string {
  let text = '';
  for (let i = 0; i < 16; i++) {
    if (i === 4 || i === 6 || i === 8 || i === 10) text += '-';
    text += hex[bytes[position + i]!]!;
  }
  return text;
}

/** False if `text` is not the usual spelling of a uuid. */
export function writeUuid(bytes: Uint8Array, position: number, text: unknown): boolean {
  if (typeof text !== 'string' || !spelling.test(text)) return false;
  let at = 0;
  for (let i = 0; i < 16; i++) {
    if (i === 4 || i === 6 || i === 8 || i === 10) at++;
    bytes[position + i] = (digit(text.charCodeAt(at)) << 4) | digit(text.charCodeAt(at + 1));
    at += 2;
  }
  return true;
}

function digit(code: number): number {
  return code <= 57 ? code - 48 : (code | 32) - 87;
}

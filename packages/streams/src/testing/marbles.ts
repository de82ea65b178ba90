/** A record in a marble diagram. */
export interface Marble {
  readonly letter: string;
  readonly frame: number;
}

/** @throws {SyntaxError} for what is not a marble */
export function parseMarbles(marbles: string): Marble[] {
  const found: Marble[] = [];
  let frame = 0;
  let isGroup = false;
  for (const character of marbles) {
    if (character === ' ') continue;
    if (character === '(' && !isGroup) isGroup = true;
    else if (character === ')' && isGroup) {
      isGroup = false;
      frame++;
    } else if (character === '-' && !isGroup) frame++;
    else if (/[\p{L}\p{N}]/u.test(character)) {
      found.push({ letter: character, frame });
      if (!isGroup) frame++;
    } else throw new SyntaxError(`'${character}' is no marble in '${marbles}': use letters, digits, '-', '(' and ')'.`);
  }
  if (isGroup) throw new SyntaxError(`A group is not closed in '${marbles}'.`);
  return found;
}

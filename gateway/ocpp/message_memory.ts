/**
 * The last answers of one connection by message id (repair R01): a charger that resends a message gets the same answer,
 * and nothing happens twice. The same id with other contents is a new message.
 */
interface Remembered {
  frameHash: string;
  answer: string;
}

/** Longer ids are answered but not remembered, so that the memory stays small whatever a charger sends. */
const idLengthMax = 255;

export class MessageMemory {
  readonly #size: number;
  #answers: Map<string, Remembered> | null = null;

  constructor(size: number) {
    this.#size = size;
  }

  /** Payload of the answer that this very message got. */
  find(idText: string, frameHash: string): string | undefined {
    const remembered = this.#answers?.get(idText);
    return remembered?.frameHash === frameHash ? remembered.answer : undefined;
  }

  remember(idText: string, frameHash: string, answer: string): void {
    if (idText.length > idLengthMax) return;
    this.#answers ??= new Map();
    this.#answers.delete(idText);
    this.#answers.set(idText, { frameHash, answer });
    if (this.#answers.size > this.#size) this.#answers.delete(this.#answers.keys().next().value as string);
  }
}

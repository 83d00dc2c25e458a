/**
 * How much room the journal has for records. The last part of it is kept for what makes room: a snapshot's pointer and the
 * epoch record of a new owner. Were it filled with decisions, nothing could ever be purged again.
 */

/** Whatever one turn of the loop may append behind the last look; of a stream below 4 MiB half. */
const reservedBytesMax = 2 * 1024 * 1024;
const reservedShareMax = 0.5;
/** Subject, headers, length and checksum of a stored message. */
const overheadBytes = 100;

/** Share of the room for decisions that is taken; 1 and more: none may be appended. Without a bound there is always room. */
export const journalFill = ({ bytes, bytesMax }: { bytes: number; bytesMax: number }): number =>
  bytesMax <= 0 ? 0 : bytes / (bytesMax - Math.min(reservedBytesMax, bytesMax * reservedShareMax));

/** The journal as its owner knows it between two looks. */
export class JournalRoom {
  #bytes = 0;
  #bytesMax = 0;

  /** What the server says. */
  measured({ bytes = 0, bytesMax = 0 }: { bytes?: number; bytesMax?: number }): void {
    this.#bytes = bytes;
    this.#bytesMax = bytesMax;
  }

  /** A record of so many bytes is on its way. */
  grows(bytes: number): void {
    this.#bytes += bytes + overheadBytes;
  }

  get fill(): number {
    return journalFill({ bytes: this.#bytes, bytesMax: this.#bytesMax });
  }
}

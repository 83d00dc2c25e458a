/** Why there is no backup, or why one is not taken: nothing was written then, or what was written is gone again. */
import { ConfigError } from '../config/config.ts';

export type BackupRefusal =
  /** The directory to write into holds something. */
  | 'not_empty'
  /** There is no manifest: the backup was never finished, or this is none. */
  | 'no_backup'
  /** The manifest is cut off, changed, or of a format that this build does not know. */
  | 'bad_manifest'
  | 'file_missing'
  /** A file is not what the manifest says. */
  | 'file_damaged'
  /** Made for other partitions or sizes, or by a newer build. */
  | 'does_not_fit'
  /** The log was purged again and again while it was being copied. */
  | 'purged_meanwhile'
  /** What was restored is not what the manifest promises. */
  | 'not_the_same';

export class BackupRefused extends ConfigError {
  override name = 'BackupRefused';
  readonly code: BackupRefusal;

  constructor(code: BackupRefusal, message: string) {
    super(message);
    this.code = code;
  }
}

import { defineCommand } from '../interface.ts';
import { jobCancel } from './cancel.ts';

/** The word that people look for beside `pause` and `resume`. */
export const jobStop = defineCommand({
  ...jobCancel,
  name: 'job stop',
  summary: 'stop a job for good: another name of job cancel',
  details:
    'The same as `fogproof job cancel`: running attempts are stopped and the job never goes on. To stop it for a while, use `fogproof job pause`. A job that has ended stays as it is.',
  examples: [{ line: 'fogproof job stop latest', does: 'Stop the newest job for good.' }],
});

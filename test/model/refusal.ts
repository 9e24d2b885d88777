import { PublishError } from '../../runtime/model/publish-error';

/** The error that a publish is refused with; any other error, or none, fails the test. */
export async function refusal(publishing: Promise<unknown>): Promise<PublishError> {
  const error = await publishing.then(
    () => new Error('it was published'),
    (reason: unknown) => reason,
  );
  if (!PublishError.is(error)) throw error;
  return error;
}

/** The one function of semver that the agent needs, as a file of its own: it is read with the first version range. */
import satisfies from 'semver/functions/satisfies';

export { satisfies };

import type { Filter } from "../filters/grammar";
import { query } from "./client";
import { graphql, type ResultOf } from "./graphql";
import { send } from "./settings";

const TagsQuery = graphql(`
  query Tags {
    tags {
      id
      type
      name
      scope
    }
  }
`);

const CreateMutation = graphql(`
  mutation CreateTag($type: String!, $name: String!, $scope: String!) {
    createTag(type: $type, name: $name, scope: $scope) {
      id
      type
      name
      scope
    }
  }
`);

const AddMutation = graphql(`
  mutation AddTags($job: ID!, $tagIds: [ID!]!) {
    addTagsToJob(job: $job, tagIds: $tagIds) {
      id
      type
      name
      scope
    }
  }
`);

const RemoveMutation = graphql(`
  mutation RemoveTags($job: ID!, $tagIds: [ID!]!) {
    removeTagsFromJob(job: $job, tagIds: $tagIds) {
      id
      type
      name
      scope
    }
  }
`);

const AddManyMutation = graphql(`
  mutation AddTagsToMany($filter: [JobFilter!]!, $tagIds: [ID!]!, $dryRun: Boolean!) {
    addTagsToJobs(filter: $filter, tagIds: $tagIds, dryRun: $dryRun) {
      matching
      affected
      changed
    }
  }
`);

const RemoveManyMutation = graphql(`
  mutation RemoveTagsFromMany($filter: [JobFilter!]!, $tagIds: [ID!]!, $dryRun: Boolean!) {
    removeTagsFromJobs(filter: $filter, tagIds: $tagIds, dryRun: $dryRun) {
      matching
      affected
      changed
    }
  }
`);

const DeleteMutation = graphql(`
  mutation DeleteTags($tagIds: [ID!]!) {
    removeTagFromList(tagIds: $tagIds)
  }
`);

export type Tag = ResultOf<typeof TagsQuery>["tags"][number];

const FRESH = { fresh: true };

export const listTags = async (): Promise<Tag[]> => (await query(TagsQuery, {}, FRESH)).tags;

export const createTag = async (type: string, name: string, scope: string): Promise<Tag> =>
  (await query(CreateMutation, { type, name, scope }, FRESH)).createTag;

export const addTag = async (job: string, tag: string): Promise<Tag[]> =>
  (await query(AddMutation, { job, tagIds: [tag] }, FRESH)).addTagsToJob;

export const removeTag = async (job: string, tag: string): Promise<Tag[]> =>
  (await query(RemoveMutation, { job, tagIds: [tag] }, FRESH)).removeTagsFromJob;

/** `affected` jobs lack the tag, or have it where it is taken off; `changed` of them do so no more. */
export type ManyTagged = ResultOf<typeof AddManyMutation>["addTagsToJobs"];

/** Attaches a tag to jobs that match or takes it off, to as many as the server does at once; `dryRun` only counts them. */
export async function tagMany(filter: Filter[], tag: string, attach: boolean, dryRun: boolean): Promise<ManyTagged> {
  const variables = { filter, tagIds: [tag], dryRun };
  return attach ? (await query(AddManyMutation, variables, FRESH)).addTagsToJobs : (await query(RemoveManyMutation, variables, FRESH)).removeTagsFromJobs;
}

/** Another type and name for a tag; jobs keep it. */
export async function renameTag(id: string, type: string, name: string): Promise<void> {
  await send("POST", `/frontend/tags/${id}`, { type, name });
}

export const deleteTag = async (tag: string): Promise<number[]> =>
  (await query(DeleteMutation, { tagIds: [tag] }, FRESH)).removeTagFromList;

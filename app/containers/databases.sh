# Run once, by the server's own entry point, when its folder is empty: a database for each process, which nobody else may open.
#
# NAME_owner is what a process prepares its own database with: it makes the schema, and gives the module's role (banyan_NAME, which does
# all the work) its password and its limits. For that it needs CREATEROLE; since PostgreSQL 16 this reaches only roles that it was
# given, and so no other module's. Nobody but this script is a superuser.
for name in shop catalog inventory payments shipping orders notifications; do
    password=$(printenv "$(echo "$name" | tr '[:lower:]' '[:upper:]')_PASSWORD")
    # The front has no module's schema but its own.
    case $name in shop) role=banyan_edge ;; *) role=banyan_$name ;; esac
    psql --no-psqlrc --quiet -v ON_ERROR_STOP=1 --username postgres --dbname postgres <<SQL
create role ${name}_owner login createrole password '$password';
create role $role login;
grant $role to ${name}_owner with admin option;
create database $name owner ${name}_owner;
revoke all on database $name from public;
grant connect on database $name to $role;
SQL
done
psql --no-psqlrc --quiet -v ON_ERROR_STOP=1 --username postgres --dbname postgres <<SQL
-- The front's observer tells who has been in a transaction for long.
grant pg_read_all_stats to shop_owner with admin option;
revoke all on database postgres from public;
revoke all on database template1 from public;
SQL

#!/usr/bin/perl
# Writes rules/unicode_tables.lua from the Unicode Character Database that comes with Perl:
#
#   perl spec/rules/unicode_tables.pl >rules/unicode_tables.lua
#
# A set is written as gaps and lengths in base 36: "1t,p 6,p" is [A-Za-z] (65 code points out, then 26 in, 6 out, 26 in).
# Case folding is written as runs: first, how many, step, and the distance to what they are equal to.
use strict;
use warnings;
use Unicode::UCD qw(prop_invlist prop_values prop_value_aliases prop_invmap);

sub base36 {
    my ($n) = @_;
    my $out = '';
    do { $out = (0 .. 9, 'a' .. 'z')[$n % 36] . $out; $n = int($n / 36) } while $n;
    return $out;
}

sub packed {
    my @list = @_;
    push @list, 0x110000 if @list % 2;
    my ($end, @out) = (0);
    while (my ($first, $after) = splice @list, 0, 2) {
        push @out, base36($first - $end) . ($after - $first > 1 ? ',' . base36($after - $first - 1) : '');
        $end = $after;
    }
    return join ' ', @out;
}


# Entries of a table: short ones share a line, long ones are cut into lines, which Lua joins.
my $row = '';

sub finish_row {
    my $line = $row;
    $row = '';
    return $line ? "$line\n" : '';
}

sub lines {
    my ($name, $text) = @_;
    my $entry = " $name = \"$text\",";
    if (length($entry) < 100) {
        my $done = length($row) + length($entry) > 117 ? finish_row() : '';
        $row = ($row || ' ') . $entry;
        return $done;
    }
    my @parts;
    push @parts, $1 while $text =~ /\G(.{1,100})(?: |$)/g;
    return finish_row() . "  $name = \"" . join(" \"\n    .. \"", @parts) . "\",\n";
}

sub squash { my ($n) = @_; $n = lc $n; $n =~ s/[^a-z0-9]//g; return $n }

print "-- moongate.rules.unicode_tables: properties and simple case folding of Unicode ", Unicode::UCD::UnicodeVersion(), ".\n";
print "-- Written by spec/rules/unicode_tables.pl from the Unicode Character Database; unicode.lua reads it.\n\n";
print "local M = {}\n\nM.categories = {\n";
for my $value (sort(prop_values('Gc'))) {
    next if length $value != 2 or $value eq 'LC' or $value eq 'Cn';
    print lines($value, packed(prop_invlist("Gc=$value")));
}
print finish_row(), "}\n\nM.scripts = {\n";
my %alias;
for my $value (sort(prop_values('Script'))) {
    my @names = map { squash($_) } prop_value_aliases('sc', $value);
    my @list = prop_invlist("Script=$value");
    next if !@list or $names[0] eq 'zzzz';
    $alias{$_} = $names[0] for @names[1 .. $#names];
    print lines($names[0], packed(@list));
}
print finish_row(), "}\n\nM.script_aliases = {\n";
my @pairs = map { "$_ = \"$alias{$_}\"" } grep { $_ ne $alias{$_} } sort keys %alias;
while (my @row = splice @pairs, 0, 4) { print "  ", join(', ', @row), ",\n" }
print "}\n\nM.category_aliases = {\n";
my %category;
for my $value (sort(prop_values('Gc'))) {
    $category{ squash($_) } = $value for prop_value_aliases('gc', $value);
}
@pairs = map { "$_ = \"$category{$_}\"" } sort keys %category;
while (my @row = splice @pairs, 0, 4) { print "  ", join(', ', @row), ",\n" }
print "}\n\n";
my %kept = map { $_ => 1 } qw(Alphabetic Lowercase Uppercase White_Space XPosixWord);
print "M.properties = {\n";
print lines(squash($_), packed(prop_invlist($_))) for sort keys %kept;
print finish_row(), "}\n\n";

# Simple case folding: every code point that folds to another, as runs of equal distance.
my ($codes, $maps, $format, $default) = prop_invmap('Simple_Case_Folding');
my @folds;
for my $i (0 .. $#$codes) {
    next if $maps->[$i] eq $default;
    my $end = $i < $#$codes ? $codes->[ $i + 1 ] : 0x110000;
    push @folds, [ $_, $maps->[$i] + ($_ - $codes->[$i]) ] for $codes->[$i] .. $end - 1;
}
my @runs;
for my $fold (@folds) {
    my ($from, $to) = @$fold;
    my $last = $runs[-1];
    if ($last and $last->{distance} == $to - $from) {
        my $step = $from - $last->{end};
        if (($last->{count} == 1 and $step <= 2) or $last->{step} == $step) {
            $last->{step} = $step; $last->{count}++; $last->{end} = $from;
            next;
        }
    }
    push @runs, { first => $from, end => $from, count => 1, step => 1, distance => $to - $from };
}
print "-- first, how many, step, distance\nM.folds = {\n";
my @texts = map { "{ $_->{first}, $_->{count}, $_->{step}, $_->{distance} }" } @runs;
while (my @row = splice @texts, 0, 4) { print "  ", join(', ', @row), ",\n" }
print "}\n\nreturn M\n";
